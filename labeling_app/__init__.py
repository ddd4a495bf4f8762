"""The labeling app: people compare responses in a browser, and nothing they say is lost.

    labeling_app.store      tables, transactions, migrations: SQLite or PostgreSQL
    labeling_app.accounts   people, passwords, sessions, invitations
    labeling_app.work       what an annotator does: claim, answer, correct
    labeling_app.lead       what a lead does: projects, import, figures, adjudication
    labeling_app.export     labels as training data
    labeling_app.web        the pages: FastAPI and Gradio; nothing above needs them

`python -m labeling_app serve` starts it.
"""
