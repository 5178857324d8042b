"""The lesson that needs no server: the model itself runs in the reader's browser.

    graph.py, assemble.py   forward and gradient of a classifier as one ONNX graph, traced from torch
    model.py                a classifier as files: graph, weights, tokenizer, numbers and names
    engine.js               what the lesson asks of them; network.js, integrals.js, tokens.js, weights.js under it
    lesson.js, chapters/    what the chapters say of a text, with the page's own words and figures (book.py, templates.py)
    page.py, page.js        the page around it, made of the page's own layout; controls.py, page.html, page.css, words.md
    boot.js, worker.js      how the engine comes to run beside the page; unpack.js reads what packing.py packs
    build.py                one HTML file, or a folder for a course site or a static Space

What is computed here and what in the browser is held equal by tests: the same weights, the same definitions, the same words.
"""
