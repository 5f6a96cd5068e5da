"""A Jinja template for other programs that formats a conversation as in the model's training texts.

It has the format of `data/sources/conversations.py`: <|user|>question<|assistant|>answer, a system message before the
next question, consecutive messages of one role joined, and no special tokens within a message.
"""

from llm_studio.data.sources.conversations import ASSISTANT, END, USER

_ESCAPED = "".join(f" | replace('{token}', '<| {token[2:]}')" for token in (END, USER, ASSISTANT))

CHAT_TEMPLATE = (
    "{%- set seen = namespace(role='', system='') -%}"
    "{%- for message in messages -%}"
    f"{{%- set text = message['content'] | trim{_ESCAPED} -%}}"
    "{%- if message['role'] == 'system' or message['role'] == 'developer' -%}"
    "{%- set seen.system = (seen.system ~ '\\n\\n' ~ text) | trim -%}"
    "{%- else -%}"
    "{%- if message['role'] == 'user' and seen.system -%}"
    "{%- set text = (seen.system ~ '\\n\\n' ~ text) | trim -%}{%- set seen.system = '' -%}"
    "{%- endif -%}"
    "{%- if message['role'] == seen.role -%}{{- '\\n\\n' ~ text -}}"
    f"{{%- elif message['role'] == 'user' -%}}{{{{- '{USER}' ~ text -}}}}"
    f"{{%- else -%}}{{{{- '{ASSISTANT}' ~ text -}}}}{{%- endif -%}}"
    "{%- set seen.role = message['role'] -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    f"{{%- if add_generation_prompt -%}}{{{{- '{ASSISTANT}' -}}}}{{%- else -%}}{{{{- '{END}' -}}}}{{%- endif -%}}"
)
"""With `add_generation_prompt` an answer follows; without it, the conversation is complete."""


def stops(markers: dict[str, int], conversations: bool) -> list[str]:
    """The special tokens that end a generated text: an answer also ends where the next turn would begin."""
    return [END, *(name for name in (USER, ASSISTANT) if conversations and name in markers)]
