"""A stand-in for the platform: hands every request to `main`."""

from packages.sample.inngest.__main__ import main

from stepwell.experimental.digital_ocean_simulator import DigitalOceanSimulator

app = DigitalOceanSimulator(main).app
