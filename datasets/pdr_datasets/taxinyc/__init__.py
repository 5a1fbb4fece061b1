"""TaxiNYC: hourly flows of New York's taxis."""
