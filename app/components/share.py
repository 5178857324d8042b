"""What a reader takes away: a link, code that embeds the chapter in another page, the whole lesson as a file."""

from __future__ import annotations

from typing import Any

from .base import ScriptedHTML


class Share(ScriptedHTML):
    """Link and code are copied in the browser. For a file ``save`` is triggered with the number of chapters ``done``, from 0 on;
    the answer is the component's value: ``{"done": one more, "of": all}``, upon which the next is asked for, and at last
    ``{"file": its name, "document": what is in it}``; or ``{"problem": why there is none}``.

    In an embedded chapter a link to the whole lesson stands here instead.
    """

    def __init__(self, **props: Any) -> None:  # noqa: ANN401
        template = (
            '<div class="share"><button type="button" class="link">copy link</button>'
            '<button type="button" class="code">copy embed code</button>'
            '<button type="button" class="file">save as a file</button>'
            '<a class="whole" target="_blank" rel="noopener">open the whole lesson</a>'
            '<span class="said small" role="status"></span></div>'
        )
        super().__init__("share", template=template, **props)
