"""The page's own components: `gr.HTML` with a static template and a script that builds nodes.

A value never passes through a template, because Gradio evaluates templates as JavaScript: ``${…}`` in somebody's text would run.
The scripts set ``textContent`` instead.
"""
