"""The five systems that this toolkit grew from, reproduced with its plugins, their claims beside our figures."""
