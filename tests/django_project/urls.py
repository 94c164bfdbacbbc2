"""The endpoint, with all functions that were found."""

import stepwell.django
from tests.django_project.shop.inngest import client

urlpatterns = [stepwell.django.serve(client, stepwell.django.functions_of(client))]
