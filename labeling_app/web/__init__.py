"""The pages: FastAPI for coming in, Gradio for the work. Nothing else of the app needs them.

server.py     the application: routes, static files, the mount of the Gradio app
security.py   what stands around it: sessions, origins, headers, sizes
pages/        the Gradio app
templates/    the pages outside of it
static/       script and style, served from here: no page loads anything from another host
"""
