"""langchain-tests' standard suite over langchain-openai, run by pytest in langchain's environment ($MODEL)."""

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
