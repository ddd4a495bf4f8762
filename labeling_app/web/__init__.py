"""The pages: FastAPI for coming in, Gradio for the work. Nothing else of the app needs them.

server.py     the application: routes, static files, the mount of the Gradio app
security.py   what stands around it: sessions, origins, headers, sizes
used_routes.py, own_queue.py   what of Gradio can be reached, and that nobody hears what is another's
pages/        the Gradio app
templates/    the pages outside of it
static/       script and style, served from here: no page loads anything from another host
"""
