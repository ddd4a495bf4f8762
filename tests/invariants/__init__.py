"""What a PPO, DPO and reward-model implementation must show, as tests that read as a specification.

 1  rollout log-probabilities are those of a training forward      test_policy.py
 2  the first minibatch has ratio 1                                test_policy.py
 3  the KL to the reference begins at 0                            test_policy.py
 4  DPO and the reward model begin at ln 2                         test_pairs.py
 5  generalized advantage estimation                               test_advantages.py
 6  whitening                                                      test_advantages.py
 7  padding changes nothing                                        test_batches.py
 8  micro-batches make one batch; how many steps there are         test_batches.py
 9  gradients are clipped, and the logged norm is the true one     test_batches.py
10  how a response ends                                            test_ends.py
11  roles are isolated                                             test_roles.py
12  a reward model scores the same wherever it is                  test_pairs.py
13  a resumed run goes on as the unbroken one                      test_runs.py, trainers/ppo/test_kill_and_resume.py
14  the adaptive KL coefficient                                    test_advantages.py
15  it learns                                                      test_runs.py
16  one process and two give the same gradient                     trainers/ppo/test_processes.py
17  the shared trunk is the plain forward                          test_trunk.py

Models are tiny and in float32 unless a test says otherwise; "both forms" are roles that share a base and whole models.
"""
