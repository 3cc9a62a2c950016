"""Fine-tuning: training that starts from another run."""
