"""The settings by theme, one model each; `config.settings` joins them into one flat model."""
