"""Money: rate cards, what a job is granted and what that costs, estimates and reports. Knows neither files of runs nor notebooks."""
