"""The orchestrator: one front door to transcribe, speak and edit, composed of the tokenizer and the LLM."""
