"""Trains and exports the demo models of the paper's other tasks, from what scenes/ made: data, first stage, text encoder and U-Net."""
