"""The project's client."""

import stepwell

client = stepwell.Inngest(app_id="shop", is_dev=True)
other = stepwell.Inngest(app_id="shop-elsewhere", is_dev=True)
