"""How bright stars are: catalogues, apertures, comparison stars, light curves and their periods."""
