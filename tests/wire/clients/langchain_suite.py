"""langchain-tests' standard suite over langchain-openai, run by pytest in langchain's environment ($MODEL).

Not applicable, and skipped by the suite: images, audio and PDFs (the scripted upstreams see none), Anthropic's message
format, JSON mode with a form of the suite's own (the scripted teacher knows one answer), and recorded cassettes.
"""

import os

from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests


class TestChat(ChatModelIntegrationTests):
    @property
    def chat_model_class(self):
        return ChatOpenAI

    @property
    def chat_model_params(self):
        return {"model": os.environ["MODEL"], "max_retries": 0, "stream_usage": True}

    @property
    def model_override_value(self):
        return "fresh"
