"""A plugin for pytest: each case finds a server without functions, layers and mappings, as moto's own would be."""

import os

import boto3
import pytest


@pytest.fixture(autouse=True)
def emptied(request):
    yield
    # A class's cases share what the first one made.
    if request.cls is not None:
        return
    functions = boto3.client("lambda", "us-east-1", endpoint_url=os.environ["TEST_SERVER_MODE_ENDPOINT"])
    for page in functions.get_paginator("list_event_source_mappings").paginate():
        for one in page["EventSourceMappings"]:
            functions.delete_event_source_mapping(UUID=one["UUID"])
    for page in functions.get_paginator("list_functions").paginate():
        for one in page["Functions"]:
            functions.delete_function(FunctionName=one["FunctionName"])
    for layer in functions.list_layers()["Layers"]:
        for one in functions.list_layer_versions(LayerName=layer["LayerName"])["LayerVersions"]:
            functions.delete_layer_version(LayerName=layer["LayerName"], VersionNumber=one["Version"])
