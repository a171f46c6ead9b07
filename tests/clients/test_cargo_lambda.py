"""`cargo lambda`: a program in Rust, deployed and called."""

import json
import shutil
import urllib.parse

from world import EVENT

PACKAGE = '[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n\n[workspace]\n'


def cargo_lambda(world, verb, *words):
    return world.run(world.options.cargo_lambda, "lambda", verb, *words)


def deployed(world, *more):
    name = world.name()
    world.write(Cargo_toml=PACKAGE.replace("{name}", name), src__main_rs="fn main() {}\n")
    shutil.copy(world.options.bootstrap, world.folder / "program")
    here = ["--endpoint-url", world.options.endpoint]
    cargo_lambda(world, "deploy", *here, "--binary-path", "program", *more, name)
    return name, here


def test_a_program_is_deployed_and_called(world):
    name, here = deployed(world, "--timeout", "7", "--memory", "256", "--env-var", "MODE=x", "--tag", "team=shop")
    told = world.json("lambda", "get-function", "--function-name", name)
    found = told["Configuration"]
    assert (found["Runtime"], found["Timeout"], found["MemorySize"]) == ("provided.al2023", 7, 256), found
    assert found["Environment"]["Variables"]["MODE"] == "x" and told["Tags"] == {"team": "shop"}, told
    remote = cargo_lambda(world, "invoke", "--remote", *here, "--data-ascii", json.dumps(EVENT), name)
    assert json.loads(remote) == 9, remote
    # As to its own emulator: without a signature.
    door = urllib.parse.urlsplit(world.options.endpoint)
    local = cargo_lambda(world, "invoke", "-A", door.hostname, "-P", str(door.port), "--data-ascii", json.dumps(EVENT), name)
    assert json.loads(local) == 9, local
    # A second time, over the first, with an alias that is there already.
    version = world.json("lambda", "publish-version", "--function-name", name)["Version"]
    world.aws("lambda", "create-alias", "--function-name", name, "--name", "live", "--function-version", version)
    cargo_lambda(world, "deploy", *here, "--binary-path", "program", "--alias", "live", "--timeout", "8", name)
    alias = world.json("lambda", "get-alias", "--function-name", name, "--name", "live")
    assert int(alias["FunctionVersion"]) > int(version), alias
    assert world.invoke(f"{name}:live")[1] == 9


def test_the_code_goes_through_a_bucket(world):
    bucket = world.name("code")
    world.aws("s3", "mb", f"s3://{bucket}")
    name, _ = deployed(world, "--s3-bucket", bucket)
    assert world.invoke(name)[1] == 9


def test_a_package_is_deployed_as_it_is_built(world):
    name = world.name()
    routes = f'[package.metadata.lambda.env]\nMODE = "x"\n\n[package.metadata.lambda.watch.router]\n"/{name}/{{id}}" = "{name}"\n'
    world.write(Cargo_toml=PACKAGE.replace("{name}", name) + routes, src__main_rs="fn main() {}\n")
    assert "run `cargo lambda build" in world.mote("deploy", ".", fails=True)
    built = world.folder / "target" / "lambda" / name
    built.mkdir(parents=True)
    shutil.copy(world.options.bootstrap, built / "bootstrap")
    world.mote("deploy", ".")
    assert world.invoke(name)[1] == 9
    found = world.json("lambda", "get-function-configuration", "--function-name", name)
    assert (found["Runtime"], found["Environment"]["Variables"]["MODE"]) == ("provided.al2023", "x"), found
    # The program answers numbers alone, and is asked with a request.
    assert world.ask(f"/{name}/7")[0] == 500
