"""The page: a Gradio app over `gpt2cls_core`."""
