"""The MoE language model with its audio projector and flow head (model specification 3 to 6)."""
