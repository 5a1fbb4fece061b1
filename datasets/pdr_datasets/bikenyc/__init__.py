"""BikeNYC: hourly flows of New York's bikes."""
