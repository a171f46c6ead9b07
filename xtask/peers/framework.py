"""The formula on functions-framework for Python."""

import functions_framework
from flask import jsonify


@functions_framework.http
def formula(request):
    a, b, c = (float(request.args[name]) for name in "abc")
    return jsonify((a + b) * c)
