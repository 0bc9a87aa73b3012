"""The gateway: OpenAI wire formats in front of a student and a teacher; the idea is in `cascade`."""
