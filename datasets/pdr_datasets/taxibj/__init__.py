"""TaxiBJ: half-hourly flows of Beijing's taxis."""
