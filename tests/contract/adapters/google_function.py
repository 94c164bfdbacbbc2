"""A source file as it is deployed; the test has put the function where it is imported from."""

import functions_framework
from stepwell_tests_given import main

main = functions_framework.http(main)
