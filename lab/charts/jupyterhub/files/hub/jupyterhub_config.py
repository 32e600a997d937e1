# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub's configuration, made from the chart's values. Each section stands for one part of them."""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821 (traitlets' own, given to configuration files)

sys.path.insert(0, str(Path(__file__).parent))

# From here on get_config reads the chart's values, as in the official chart. Some names are for extraConfig alone.
from z2jh import get_config, get_name, get_name_env, get_secret_value, set_config_if_not_none  # noqa: E402, F401


def set_traits(section, prefix, **keys):
    """Set traits from values below a prefix, leaving out those that are null."""
    for trait, key in keys.items():
        set_config_if_not_none(section, trait, f"{prefix}.{key}")


# --- Hub, database and proxy ---
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = "http://hub:8081"
c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"
c.ConfigurableHTTPProxy.should_start = False
# User servers outlive a restart of the hub.
c.JupyterHub.cleanup_servers = False
c.JupyterHub.last_activity_interval = 60
# Whoever starts a server sees its progress at once.
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
set_traits(
    c.JupyterHub,
    "hub",
    base_url="baseUrl",
    concurrent_spawn_limit="concurrentSpawnLimit",
    active_server_limit="activeServerLimit",
    allow_named_servers="allowNamedServers",
    named_server_limit_per_user="namedServerLimitPerUser",
    authenticate_prometheus="authenticatePrometheus",
    redirect_to_server="redirectToServer",
    shutdown_on_logout="shutdownOnLogout",
    template_paths="templatePaths",
    template_vars="templateVars",
)
c.JupyterHub.cookie_secret = get_secret_value("hub.config.JupyterHub.cookie_secret")
c.CryptKeeper.keys = get_secret_value("hub.config.CryptKeeper.keys").split(";")

db_type = get_config("hub.db.type")
if db_type in ("sqlite-pvc", "sqlite-memory"):
    # The relative path is below /srv/jupyterhub, the container's working directory and the claim's mount.
    c.JupyterHub.db_url = {"sqlite-pvc": "sqlite:///jupyterhub.sqlite", "sqlite-memory": "sqlite://"}[db_type]
else:
    set_traits(c.JupyterHub, "hub.db", db_url="url")
    password_variable = {"mysql": "MYSQL_PWD", "postgres": "PGPASSWORD"}.get(db_type)
    db_password = get_secret_value("hub.db.password", None)
    if password_variable and db_password is not None:
        os.environ[password_variable] = db_password

# --- User pods ---
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.KubeSpawner.namespace = os.environ.get("POD_NAMESPACE", "default")
# What selects user pods in the chart's NetworkPolicies; the component label is KubeSpawner's own default.
app, release = get_config("Chart.Name"), get_config("Release.Name")
chart = f"{app}-{get_config('Chart.Version')}".replace("+", "_")
c.KubeSpawner.common_labels = {
    "app": app,
    "release": release,
    "chart": chart,
    "app.kubernetes.io/name": app,
    "app.kubernetes.io/instance": release,
    "app.kubernetes.io/managed-by": "kubespawner",
    "helm.sh/chart": chart,
}
set_traits(c.Spawner, "hub", consecutive_failure_limit="consecutiveFailureLimit")
set_traits(
    c.KubeSpawner,
    "singleuser",
    pod_name_template="podNameTemplate",
    start_timeout="startTimeout",
    image_pull_policy="image.pullPolicy",
    events_enabled="events",
    extra_labels="extraLabels",
    extra_annotations="extraAnnotations",
    uid="uid",
    fs_gid="fsGid",
    service_account="serviceAccountName",
    storage_extra_labels="storage.extraLabels",
    node_selector="nodeSelector",
    node_affinity_required="extraNodeAffinity.required",
    node_affinity_preferred="extraNodeAffinity.preferred",
    pod_affinity_required="extraPodAffinity.required",
    pod_affinity_preferred="extraPodAffinity.preferred",
    pod_anti_affinity_required="extraPodAntiAffinity.required",
    pod_anti_affinity_preferred="extraPodAntiAffinity.preferred",
    lifecycle_hooks="lifecycleHooks",
    init_containers="initContainers",
    extra_containers="extraContainers",
    mem_limit="memory.limit",
    mem_guarantee="memory.guarantee",
    cpu_limit="cpu.limit",
    cpu_guarantee="cpu.guarantee",
    extra_resource_limits="extraResource.limits",
    extra_resource_guarantees="extraResource.guarantees",
    environment="extraEnv",
    profile_list="profileList",
    extra_pod_config="extraPodConfig",
)
set_traits(c.Spawner, "singleuser", default_url="defaultUrl")
# For these two null means something: the image's own command, and no statement about privilege escalation.
c.Spawner.cmd = get_config("singleuser.cmd")
c.KubeSpawner.allow_privilege_escalation = get_config("singleuser.allowPrivilegeEscalation")
c.KubeSpawner.image = f"{get_config('singleuser.image.name')}:{get_config('singleuser.image.tag')}"
c.KubeSpawner.image_pull_secrets = [
    *get_config("imagePullSecrets", []),
    *get_config("singleuser.image.pullSecrets", []),
]
c.KubeSpawner.tolerations = [
    *get_config("scheduling.userPods.tolerations", []),
    *get_config("singleuser.extraTolerations", []),
]

user_node = {
    "matchExpressions": [{"key": "hub.jupyter.org/node-purpose", "operator": "In", "values": ["user"]}],
}
match get_config("scheduling.userPods.nodeAffinity.matchNodePurpose"):
    case "prefer":
        c.KubeSpawner.node_affinity_preferred.append({"weight": 100, "preference": user_node})
    case "require":
        c.KubeSpawner.node_affinity_required.append(user_node)

if get_config("singleuser.cloudMetadata.blockWithIptables"):
    tools = get_config("singleuser.networkTools")
    drop = f"iptables --append OUTPUT --protocol tcp --destination {get_config('singleuser.cloudMetadata.ip')}"
    c.KubeSpawner.init_containers.append(
        {
            "name": "block-cloud-metadata",
            "image": f"{tools['image']['name']}:{tools['image']['tag']}",
            "command": f"{drop} --destination-port 80 --jump DROP".split(),
            "securityContext": {"runAsUser": 0, "privileged": True, "capabilities": {"add": ["NET_ADMIN"]}},
            "resources": tools["resources"],
        }
    )

# --- Volumes of user pods ---
# Dictionaries, so that extraConfig and profiles can change one entry by its name.
volumes, mounts = {}, {}
storage = get_config("singleuser.storage")
if storage["type"] == "static":
    home, claim, sub_path = "home", storage["static"]["pvcName"], storage["static"]["subPath"]
elif storage["type"] == "dynamic":
    home, claim, sub_path = storage["dynamic"]["volumeNameTemplate"], "{pvc_name}", storage["dynamic"].get("subPath")
    c.KubeSpawner.storage_pvc_ensure = True
    set_traits(
        c.KubeSpawner,
        "singleuser.storage",
        pvc_name_template="dynamic.pvcNameTemplate",
        storage_class="dynamic.storageClass",
        storage_access_modes="dynamic.storageAccessModes",
        storage_capacity="capacity",
    )
if storage["type"] != "none":
    volumes[home] = {"name": home, "persistentVolumeClaim": {"claimName": claim}}
    mounts[home] = {"name": home, "mountPath": storage["homeMountPath"], "subPath": sub_path}

extra_files = get_config("singleuser.extraFiles")
if extra_files:
    items = [
        {"key": key, "path": key, **({"mode": file["mode"]} if file.get("mode") else {})}
        for key, file in extra_files.items()
    ]
    volumes["files"] = {"name": "files", "secret": {"secretName": "singleuser", "items": items}}
    for index, (key, file) in enumerate(extra_files.items()):
        mounts[f"{index}-files"] = {"name": "files", "mountPath": file["mountPath"], "subPath": key}

extra_volumes = storage.get("extraVolumes") or {}
if isinstance(extra_volumes, list):
    extra_volumes = {volume["name"]: volume for volume in extra_volumes}
extra_mounts = storage.get("extraVolumeMounts") or {}
if isinstance(extra_mounts, list):
    # One volume may be mounted at several places.
    extra_mounts = {f"{index}-{mount['name']}": mount for index, mount in enumerate(extra_mounts)}
c.KubeSpawner.volumes = volumes | extra_volumes
c.KubeSpawner.volume_mounts = mounts | extra_mounts

# --- Services and roles ---
c.JupyterHub.services = []
c.JupyterHub.load_roles = []
cull = get_config("cull")
if cull["enabled"]:
    command = [
        "python3",
        "-m",
        "jupyterhub_idle_culler",
        f"--url=http://localhost:8081{get_config('hub.baseUrl').rstrip('/')}/hub/api",
        f"--cull-admin-users={str(bool(cull['adminUsers'])).lower()}",
    ]
    options = {"timeout": "timeout", "cull-every": "every", "concurrency": "concurrency", "max-age": "maxAge"}
    command += [f"--{option}={cull[key]}" for option, key in options.items() if cull.get(key)]
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    if cull.get("users"):
        command.append("--cull-users")
        scopes.append("admin:users")
    if cull.get("removeNamedServers"):
        command.append("--remove-named-servers")
    culler = "jupyterhub-idle-culler"
    c.JupyterHub.services.append({"name": culler, "command": command})
    c.JupyterHub.load_roles.append({"name": culler, "scopes": scopes, "services": [culler]})

for key, service in get_config("hub.services", {}).items():
    rest = {field: value for field, value in service.items() if field != "apiToken"}
    token = get_secret_value(f"hub.services.{key}.apiToken")
    c.JupyterHub.services.append({"name": key, **rest, "api_token": token})
for key, role in get_config("hub.loadRoles", {}).items():
    c.JupyterHub.load_roles.append({"name": key, **role})

if get_config("debug.enabled"):
    c.JupyterHub.log_level = "DEBUG"
    c.Spawner.debug = True

# --- What the site says last: hub.config, files in jupyterhub_config.d, hub.extraConfig ---
# Secrets that were read above; the proxy's token comes by CONFIGPROXY_AUTH_TOKEN.
kept_secrets = {
    "JupyterHub": ("proxy_auth_token", "cookie_secret"),
    "ConfigurableHTTPProxy": ("auth_token",),
    "CryptKeeper": ("keys",),
}
for section, traits in get_config("hub.config", {}).items():
    if not section[:1].isupper():
        sys.exit(f"hub.config.{section}: a section is a class, like JupyterHub; {section} would have no effect")
    c[section].update({name: value for name, value in traits.items() if name not in kept_secrets.get(section, ())})

for file in sorted(Path(__file__).parent.glob("jupyterhub_config.d/*.py")):
    print(f"Loading {file}")
    exec(compile(file.read_text(), str(file), "exec"))  # noqa: S102 (the site's code)
for key, code in sorted(get_config("hub.extraConfig", {}).items()):
    print(f"Loading hub.extraConfig.{key}")
    exec(compile(code, f"hub.extraConfig.{key}", "exec"))  # noqa: S102 (the site's code)
