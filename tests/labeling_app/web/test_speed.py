"""What must not make an event slow."""

import asyncio

from labeling_app.web import server


def test_no_statistics_are_made_of_earlier_events():
    # Gradio would make them after each event, of up to 10,000 earlier ones.
    async def found() -> tuple[dict, int]:
        queue = server.gr.queueing.Queue(True, 1, 1.0, None, blocks=None)
        queue.events_recorded = 1_000
        event = {"function": "f", "status": "success", "process_time": 0.1}
        return queue.compute_analytics_summary([event]), queue.ANALYTICS_MAX_EVENTS

    assert asyncio.run(found()) == ({"functions": {}}, 1)
