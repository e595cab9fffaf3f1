"""The broker: approved sites, fetched, cleaned and logged, on a domain of their own."""
