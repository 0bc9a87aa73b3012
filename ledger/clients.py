"""Fields of a request that say who asks: whoever reads, redacts, forgets or leaves them out means these."""

USER_FIELDS = ("user", "safety_identifier")  # who is behind it
CLIENT_FIELDS = frozenset({*USER_FIELDS, "metadata", "prompt_cache_key"})  # about its client: no student reads them
