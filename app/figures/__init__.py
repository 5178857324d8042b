"""Results drawn as Plotly figures: pure functions of numbers, without torch and without Gradio."""
