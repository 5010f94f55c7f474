"""Captions by whatever speaks as OpenAI's ``/v1/chat/completions`` does, in the house or outside."""
