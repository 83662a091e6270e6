"""Manifests on the standard input: against the schemas of Kubernetes, against each other, and
against what no pod of ours may lack. Prints a line for each mistake, exits with 1 if there is one.

The configurations in their ConfigMaps are written to the folder that is named, to be checked.
`--compose FILE` looks at a compose file instead.
"""

import pathlib
import re
import sys
import tomllib

import kubernetes_validate
import yaml

VERSIONS = ["1.30", "1.37"]  # the oldest that the manifests are for, and the newest with a schema
# Of the Prometheus operator and of Traefik: no schema here.
OPERATORS = {"ServiceMonitor", "PrometheusRule", "Middleware"}
LEDGER_CLOSES_SECONDS = 5
# What operations.rs says of a worker's memory.
LARGEST_PHOTO_MB, BODY_MB, ITSELF_MB = 1600, 25, 200

mistakes = []


def wrong(what, why):
    mistakes.append(f"{what}: {why}")


def name(thing):
    return f"{thing['kind']}/{thing['metadata']['name']}"


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def against_schemas(things):
    for thing in things:
        if thing["kind"] in OPERATORS:
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(thing, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                wrong(name(thing), f"{version}: {'.'.join(map(str, error.path))}: {error.message}")


def confined(what, pod, container):
    security = pod.get("securityContext", {}) | container.get("securityContext", {})
    expected = {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for key, value in expected.items():
        if security.get(key) != value:
            wrong(what, f"{container['name']}: {key} is {security.get(key)}")
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= resources.get("requests", {}).keys():
        wrong(what, f"{container['name']}: requests neither or one of cpu and memory")
    if "memory" not in resources.get("limits", {}):
        wrong(what, f"{container['name']}: memory has no limit")
    elif "tollgate-worker:" in container["image"]:
        roomy(what, container["args"], resources["limits"]["memory"])
    tagged(what, container["image"])
    if "readinessProbe" not in container:
        wrong(what, f"{container['name']}: no readinessProbe")
    for variable in container.get("env", []):
        if "value" in variable:
            wrong(what, f"{variable['name']}: a value and no reference")


def megabytes(quantity):
    number, unit = re.fullmatch(r"(\d+)([a-zA-Z]*)", str(quantity)).groups()
    units = {"mi": 2**20, "gi": 2**30, "m": 2**20, "g": 2**30}  # the latter are Compose's
    return int(number) * units[unit.lower()] / 1e6


def roomy(what, arguments, limit):
    """A worker of background removal that takes all that it may is not killed."""
    words = [word for argument in arguments for word in argument.split("=")]
    told = dict(zip(words, words[1:]))
    memory, queue = int(told["--memory"]), int(told["--queue"])
    if memory < LARGEST_PHOTO_MB:
        wrong(what, f"the largest photo takes more than {memory} MB")
    needed = memory + queue * BODY_MB + ITSELF_MB
    if megabytes(limit) < needed:
        wrong(what, f"may take {needed} MB, and is killed at {limit}")


def tagged(what, image):
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    if tag in ("", "latest"):
        wrong(what, f"{image}: no version")


def pre_stop(container):
    return container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)


def pods(things):
    for thing in things:
        if thing["kind"] != "Deployment":
            continue
        what, pod = name(thing), thing["spec"]["template"]["spec"]
        if pod.get("automountServiceAccountToken") is not False:
            wrong(what, "a token of the service account is mounted")
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.get(key):
                wrong(what, key)
        for container in pod["containers"]:
            confined(what, pod, container)
            longest = pre_stop(container)
            if not longest < pod.get("terminationGracePeriodSeconds", 30):
                wrong(what, f"{container['name']}: killed before its preStop is over")
        yield thing, pod


def gateways(things, deployments, folder):
    """The configurations, each with the pod that has it."""
    maps = {thing["metadata"]["name"]: thing for thing in things if thing["kind"] == "ConfigMap"}
    for thing, pod in deployments:
        for container in pod["containers"]:
            if container["name"] != "gateway":
                continue
            volumes = {volume["name"]: volume for volume in pod["volumes"]}
            for mount in container["volumeMounts"]:
                if mount["name"] not in volumes:
                    wrong(name(thing), f"{mount['name']} is no volume")
            config = next(m["name"] for m in container["volumeMounts"]
                          if m["mountPath"] == "/etc/tollgate")
            files = mounted(name(thing), volumes[config], maps)
            if "gateway.toml" not in files:
                continue
            for path, text in files.items():
                file = folder / thing["metadata"]["name"] / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            fits(things, thing, pod, container, tomllib.loads(files["gateway.toml"]))


def mounted(what, volume, maps):
    """What a volume of ConfigMaps has, by path."""
    if "configMap" in volume:
        sources = [volume["configMap"]]
    else:
        sources = [source["configMap"] for source in volume["projected"]["sources"]]
    files = {}
    for source in sources:
        if source["name"] not in maps:
            if not source.get("optional"):
                wrong(what, f"there is no ConfigMap {source['name']}")
            continue
        data = maps[source["name"]]["data"]
        items = source.get("items", [{"key": key, "path": key} for key in data])
        for item in items:
            if item["path"] in files:
                wrong(what, f"{item['path']} is there twice")
            if item["key"] not in data:
                wrong(what, f"ConfigMap {source['name']} has no {item['key']}")
            else:
                files[item["path"]] = data[item["key"]]
    return files


def fits(things, thing, pod, container, config):
    what, server = name(thing), config["server"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listeners = [(server["listen"], "http"), (server["admin"], "admin")]
    if "check" in config:
        listeners.append((config["check"]["listen"], "check"))
    for listens, port in listeners:
        if listens != f"0.0.0.0:{ports.get(port)}":
            wrong(what, f"{port} is {listens}, and its port {ports.get(port)}")
    lengths = server.get("drain", "0s"), server.get("grace", "30s")
    stops = sum(int(re.fullmatch(r"(\d+)s", length)[1]) for length in lengths)
    needed = pre_stop(container) + stops + LEDGER_CLOSES_SECONDS
    if pod["terminationGracePeriodSeconds"] < needed:
        wrong(what, f"killed before {needed} seconds are over")
    for other in pod["containers"]:
        if other is not container and pre_stop(other) < pre_stop(container) + stops:
            wrong(what, f"{other['name']} ends before the gateway")
    alone(things, thing, pod, container, config)


def alone(things, thing, pod, container, config):
    """Only gateways that may have company have it."""
    what, spec = name(thing), thing["spec"]
    scaled = [t for t in things if t["kind"] == "HorizontalPodAutoscaler"]
    scaled = [t for t in scaled if t["spec"]["scaleTargetRef"]["name"] == thing["metadata"]["name"]]
    several = bool(scaled) or spec.get("replicas", 1) > 1
    overlaps = spec.get("strategy", {}).get("type") != "Recreate"
    signs = any("chain" in facilitator for facilitator in config["facilitators"].values())
    ledger = config["ledger"]["url"]
    if (several or overlaps) and (signs or not ledger.startswith("postgres")):
        wrong(what, f"several at once, with {'a signer' if signs else ledger}")
    if ledger.startswith("sqlite"):
        claims = {t["metadata"]["name"] for t in things if t["kind"] == "PersistentVolumeClaim"}
        mounts = {m["name"] for m in container["volumeMounts"]
                  if ledger[len("sqlite://"):].startswith(m["mountPath"])}
        claimed = {v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"]
                   if v["name"] in mounts and "persistentVolumeClaim" in v}
        if not claimed & claims:
            wrong(what, f"{ledger} is on no claim")
        if "fsGroup" not in pod.get("securityContext", {}):
            wrong(what, "nobody may write to the claim")
    elif not any(v["name"] == "PGPASSWORD" for v in container.get("env", [])):
        wrong(what, "no password for PostgreSQL")


def references(things, deployments):
    templates = [t["spec"]["template"] for t, _ in deployments]
    services = [t for t in things if t["kind"] == "Service"]

    def chosen(what, selector):
        found = [t for t in templates if selects(selector, t["metadata"]["labels"])]
        if not found:
            wrong(what, f"chooses no pod: {selector}")
        return found

    def has_port(what, found, port):
        for template in found:
            ports = [p for c in template["spec"]["containers"] for p in c.get("ports", [])]
            if port not in [p["containerPort"] for p in ports] + [p["name"] for p in ports]:
                wrong(what, f"there is no port {port}")

    for thing in things:
        what, spec = name(thing), thing.get("spec", {})
        if thing["kind"] == "Service" and spec.get("type") != "ExternalName":
            found = chosen(what, spec["selector"])
            for port in spec["ports"]:
                has_port(what, found, port["targetPort"])
        elif thing["kind"] == "NetworkPolicy":
            found = chosen(what, spec["podSelector"]["matchLabels"])
            for rule in spec.get("ingress", []):
                for port in rule["ports"]:
                    has_port(what, found, port["port"])
        elif thing["kind"] == "PodDisruptionBudget":
            chosen(what, spec["selector"]["matchLabels"])
        elif thing["kind"] == "HorizontalPodAutoscaler":
            there = [t["metadata"]["name"] for t, _ in deployments]
            if spec["scaleTargetRef"]["name"] not in there:
                wrong(what, "scales nothing")
        elif thing["kind"] == "ServiceMonitor":
            wanted = spec["selector"]["matchLabels"]
            found = [s for s in services if selects(wanted, s["metadata"]["labels"])]
            ports = {port["name"] for service in found for port in service["spec"]["ports"]}
            if len(found) != 1 or not {e["port"] for e in spec["endpoints"]} <= ports:
                wrong(what, "monitors nothing")
        elif thing["kind"] == "PrometheusRule" and not spec["groups"]:
            wrong(what, "no rules")
        elif thing["kind"] == "Ingress":
            for path in (path for rule in spec["rules"] for path in rule["http"]["paths"]):
                backend = path["backend"]["service"]
                there = {s["metadata"]["name"]: s for s in services}.get(backend["name"])
                if there is None or backend["port"]["name"] not in [
                    port["name"] for port in there["spec"]["ports"]
                ]:
                    wrong(what, f"there is no Service {backend}")


def monitored(things, deployments):
    """Where Prometheus is, it scrapes all that alerts look for, and is let in."""
    monitors = [t for t in things if t["kind"] == "ServiceMonitor"]
    policies = [t["spec"] for t in things if t["kind"] == "NetworkPolicy"]
    for thing, _ in deployments if monitors else []:
        labels = thing["spec"]["template"]["metadata"]["labels"]
        job = "tollgate-worker" if labels.get("app.kubernetes.io/component") == "worker" else "tollgate"
        services = [t["metadata"]["labels"] for t in things
                    if t["kind"] == "Service" and selects(t["spec"]["selector"], labels)]
        jobs = [service[monitor["spec"]["jobLabel"]] for monitor in monitors for service in services
                if selects(monitor["spec"]["selector"]["matchLabels"], service)]
        if jobs != [job]:
            wrong(name(thing), f"alerts look for job {job}, and it is scraped as {jobs}")
        allowed = [source.get("namespaceSelector", {}).get("matchLabels", {})
                   for spec in policies if selects(spec["podSelector"]["matchLabels"], labels)
                   for rule in spec.get("ingress", []) for source in rule.get("from", [])]
        if {"kubernetes.io/metadata.name": "monitoring"} not in allowed:
            wrong(name(thing), "Prometheus is not let in")


def compose(path):
    text = yaml.safe_load(path.read_text())
    for config in text["configs"].values():
        if "file" in config and not (path.parent / config["file"]).is_file():
            wrong("configs", f"{config['file']} is missing")
    for service, spec in text["services"].items():
        tagged(service, spec["image"])
        if spec["image"].startswith("tollgate-worker:"):
            roomy(service, spec["command"], spec["mem_limit"])
        if not spec.get("read_only") or spec.get("cap_drop") != ["ALL"]:
            wrong(service, "not confined")
        if "no-new-privileges:true" not in spec.get("security_opt", []):
            wrong(service, "may gain privileges")
        for port in spec.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                wrong(service, f"{port} is open to other machines")
        for config in spec.get("configs", []):
            if config["source"] not in text["configs"]:
                wrong(service, f"{config['source']} is no config")
        for network in spec["networks"]:
            if network not in text["networks"]:
                wrong(service, f"{network} is no network")


def main():
    if sys.argv[1] == "--compose":
        compose(pathlib.Path(sys.argv[2]))
    else:
        things = [thing for thing in yaml.safe_load_all(sys.stdin) if thing]
        against_schemas(things)
        deployments = list(pods(things))
        gateways(things, deployments, pathlib.Path(sys.argv[1]))
        references(things, deployments)
        monitored(things, deployments)
        if not deployments:
            wrong("manifests", "there are none")
    print("\n".join(mistakes))
    sys.exit(1 if mistakes else 0)


main()
