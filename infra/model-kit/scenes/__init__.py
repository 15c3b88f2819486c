"""Trains and exports "scenes", the demo latent diffusion model."""
