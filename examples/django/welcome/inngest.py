"""The client of this project."""

import stepwell

client = stepwell.Inngest(app_id="django-example")
