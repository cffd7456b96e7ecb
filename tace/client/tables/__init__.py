"""The tables of a home, by what they are about; :mod:`tace.client.sqlite` joins them."""
