"""Who may do what on the node's own API: every endpoint for every kind of credential, with the codes and words of a
kubelet; what is asked of the API server for it, how often, and what becomes of it while that server fails."""

import base64
import concurrent.futures
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

import bed as beds
import cluster as clusters
import fault_server as faults
import node_client
import reviewer as reviewers
from reviewer import ACCESS_REVIEW, TOKEN_REVIEW

VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
METHODS = [*VERBS, "HEAD", "OPTIONS"]
SUBRESOURCES = ["stats", "metrics", "log", "checkpoint", "statusz", "configz", "pods", "healthz", "proxy"]
OWNER = "system:serviceaccount:default:"

# Path → the subresources that open it, and what somebody who may gets for the methods that do not say 405. A body is of
# the form that the endpoint wants.
ROUTES = {
    "/healthz": ("healthz proxy", dict.fromkeys(METHODS, 200)),
    "/healthz/ping": ("healthz proxy", dict.fromkeys(METHODS, 200)),
    "/healthz/log": ("healthz proxy", dict.fromkeys(METHODS, 200)),
    "/healthz/syncloop": ("healthz proxy", dict.fromkeys(METHODS, 200)),
    "/metrics": ("metrics", dict.fromkeys(METHODS, 200)),
    "/metrics/cadvisor": ("metrics", dict.fromkeys(METHODS, 200)),
    "/metrics/resource": ("metrics", dict.fromkeys(METHODS, 200)),
    "/metrics/probes": ("metrics", dict.fromkeys(METHODS, 200)),
    "/metrics/slis": ("metrics", dict.fromkeys(METHODS, 200)),
    "/configz": ("configz proxy", dict.fromkeys(METHODS, 200)),
    "/flagz": ("configz", dict.fromkeys(METHODS, 200)),
    "/statusz": ("statusz", dict.fromkeys(METHODS, 200)),
    "/debug/flags/v": ("proxy", {**dict.fromkeys(METHODS, 406), "PUT": 400}),
    "/pods": ("pods proxy", {"GET": 200}),
    "/pods/": ("pods proxy", {"GET": 200}),
    "/runningpods/": ("pods proxy", {"GET": 200}),
    "/stats/summary": ("stats", {"GET": 200, "POST": 200}),
    "/logs/": ("log", {"GET": 200}),
    "/logs/none": ("log", {"GET": 404}),
    "/containerLogs/ns/none/c": ("proxy", {"GET": 404}),
    "/run/ns/none/c?cmd=id": ("proxy", {"POST": 404}),
    "/run/ns/none/uid/c?cmd=id": ("proxy", {"POST": 404}),
    "/exec/ns/none/c?command=id&output=1": ("proxy", {"GET": 404, "POST": 404}),
    "/exec/ns/none/uid/c?command=id&output=1": ("proxy", {"GET": 404, "POST": 404}),
    "/attach/ns/none/c?output=1": ("proxy", {"GET": 404, "POST": 404}),
    "/attach/ns/none/uid/c?output=1": ("proxy", {"GET": 404, "POST": 404}),
    "/portForward/ns/none": ("proxy", {"GET": 404, "POST": 404}),
    "/portForward/ns/none/uid": ("proxy", {"GET": 404, "POST": 404}),
    "/checkpoint/ns/none/c": ("checkpoint", {"POST": 404}),
    "/debug/pprof/cmdline": ("proxy", {"GET": 200}),
}
# Below a service's root, and no route: who may is told that there is none, whatever the method.
NO_ROUTES = {"/pods/x": "pods proxy", "/runningpods/x": "pods proxy", "/stats/": "stats", "/stats/x": "stats",
             "/run/x": "proxy", "/exec": "proxy", "/exec/a/b": "proxy", "/attach/": "proxy", "/portForward/x": "proxy",
             "/containerLogs/a/b": "proxy", "/containerLogs/a/b/c/d": "proxy", "/checkpoint/x": "checkpoint",
             "/debug/pprof/": "proxy"}
# Answered to anybody: what does not exist, and redirects.
UNROUTED = ["/", "/nope", "/metrics/", "/metrics/none", "/healthz/", "/healthz/none", "/configz/", "/spec", "/cri/x", "/debug",
            "/debug/flags", "/debug/flags/v/", "/podsx", "/Pods", "/stat", "/statusz/", "/pods%2f"]
REDIRECTS = {"/logs": "/logs/", "/stats": "/stats/", "/runningpods": "/runningpods/", "/checkpoint": "/checkpoint/",
             "/debug/pprof": "/debug/pprof/", "//pods": "/pods", "/pods/../metrics": "/metrics", "/./healthz": "/healthz",
             "/logs?query=kubelet": "/logs/?query=kubelet"}


def requests():
    """Every path and method with the subresources that open it."""
    for path, (subresources, _) in ROUTES.items():
        for method in METHODS:
            yield method, path, subresources.split()
    for path, subresources in NO_ROUTES.items():
        for method in ("GET", "POST", "HEAD"):
            yield method, path, subresources.split()


@pytest.fixture(scope="module")
def inside(bed):
    sockets = node_client.Inside(bed)
    yield sockets
    sockets.close()


@pytest.fixture(scope="module")
def cluster(bed, inside):
    made = clusters.Cluster(bed, config={"contentType": "application/json"})
    made.plane.start()
    made.reviewer = reviewers.Reviewer(inside, made.plane, made.node.dir)
    made.node.flags = [f"--kubeconfig={made.reviewer.kubeconfig}"]
    made.tokens = {}
    try:
        made.node.start()
        yield made.wait_ready()
    finally:
        made.close()
        made.reviewer.close()


@pytest.fixture
def reviewer(cluster):
    cluster.reviewer.failure = lambda kind: None
    cluster.reviewer.forget()
    yield cluster.reviewer
    cluster.reviewer.failure = lambda kind: None


def user(cluster, name, *rights):
    """The token of a service account of that name, which has these rights: (verb, subresource)."""
    cluster.reviewer.rights[OWNER + name] = set(rights)
    if name not in cluster.tokens:
        cluster.create({"kind": "ServiceAccount", "metadata": {"name": name}})
        code, answer = cluster.request("POST", cluster.path("serviceaccounts", name) + "/token",
                                       {"spec": {"expirationSeconds": 3600}})
        assert code == 201, answer
        cluster.tokens[name] = answer["status"]["token"]
    return cluster.tokens[name]


def fresh(cluster, *rights):
    """The same with a name that nothing is known of yet."""
    return user(cluster, f"user-{len(cluster.tokens)}", *rights)


def unauthorized(method):
    return 401, "" if method == "HEAD" else "Unauthorized"


def forbidden(name, method, subresources):
    text = (f"Forbidden (user={name}, verb={VERBS.get(method, '')}, resource=nodes, "
            f"subresource(s)=[{' '.join(subresources)}])\n")
    return 403, "" if method == "HEAD" else text


def answers(client, wanted):
    """Asks everything; @wanted(method, path, subresources) is (status, body), or None for what this test does not say.
    Returns what is not as wanted."""
    wrong = []
    for method, path, subresources in requests():
        expected = wanted(method, path, subresources)
        answer = client.ask(method, path)
        if expected is not None and (answer.status, answer.body) != expected:
            wrong.append(f"{method} {path}: {answer.status} {answer.body[:200]!r}, wanted {expected}")
    return wrong


# Nobody

def test_without_credentials_everything_is_unauthorized(cluster, reviewer, inside):
    with node_client.NodeClient(inside) as client:
        assert answers(client, lambda method, *_: unauthorized(method)) == []
        answer = client.get("/pods")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "www-authenticate" not in answer.headers
    assert reviewer.reviews == [], "there is nothing to ask"


def test_a_wrong_token_is_unauthorized_and_looked_up_once(cluster, reviewer, inside):
    with node_client.NodeClient(inside, token="wrong") as client:
        assert answers(client, lambda method, *_: unauthorized(method)) == []
    assert reviewer.asked(TOKEN_REVIEW) == [{"token": "wrong"}], "no audiences, so the server's own"
    assert reviewer.asked(ACCESS_REVIEW) == []


def test_what_is_no_bearer_token_is_unauthorized(cluster, reviewer, inside):
    good = user(cluster, "everything", *[("*", each) for each in SUBRESOURCES])
    with node_client.NodeClient(inside) as client:
        for value in ("Bearer", "Bearer ", f"Basic {good}", good, f"bearer  {good}"):
            assert client.get("/pods", Authorization=value).status == 401, value
        assert reviewer.reviews == []
        for value in (f"bearer {good}", f"BEARER {good}", f" Bearer {good} "):
            assert client.get("/pods", Authorization=value).status == 200, value


def bad_certificates(cluster, directory):
    """Certificates that name a user who may do everything, and are no good."""
    real = node_client.load_authority(cluster.plane.ca.parent)
    other = faults.Authority("other")
    same_name = faults.Authority(real[0].subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    admin = {"common_name": "admin", "groups": ["system:masters"]}
    return {
        "of a wrong authority": node_client.issue((other.cert, other.key), directory / "other.pem", **admin),
        "of an authority that has our name only": node_client.issue((same_name.cert, same_name.key),
                                                                    directory / "same-name.pem", **admin),
        "expired": node_client.issue(real, directory / "expired.pem", lasts=-datetime.timedelta(hours=1), **admin),
        "a server's": node_client.issue(real, directory / "server.pem", is_server=True, **admin),
        "of nobody": node_client.issue(real, directory / "nobody.pem", common_name=""),
    }


@pytest.mark.parametrize("kind", ["of a wrong authority", "of an authority that has our name only", "expired", "a server's",
                                  "of nobody"])
def test_a_certificate_that_is_no_good_is_unauthorized(cluster, reviewer, inside, tmp_path, kind):
    path = bad_certificates(cluster, tmp_path)[kind]
    with node_client.NodeClient(inside, certificate=path) as client:
        assert answers(client, lambda method, *_: unauthorized(method)) == []
    assert reviewer.reviews == []
    token = user(cluster, "everything", *[("*", each) for each in SUBRESOURCES])
    with node_client.NodeClient(inside, certificate=path, token=token) as client:
        assert client.get("/pods").status == 200, "another credential may be good"


def test_what_does_not_exist_is_told_to_anybody(cluster, reviewer, inside):
    with node_client.NodeClient(inside) as client:
        for path in UNROUTED:
            answer = client.get(path)
            assert (answer.status, answer.body) == (404, "404 page not found\n"), path
            assert answer.headers["x-content-type-options"] == "nosniff", path
        for path, location in REDIRECTS.items():
            answer = client.get(path)
            assert (answer.status, answer.headers["location"]) == (307, location), path
            assert answer.body == f'<a href="{location}">Temporary Redirect</a>.\n\n', path
            answer = client.ask("POST", path)
            assert (answer.status, answer.headers["location"], answer.body) == (307, location, ""), path
    assert reviewer.reviews == []


# Somebody

def test_without_rights_everything_is_forbidden(cluster, reviewer, inside):
    with node_client.NodeClient(inside, token=user(cluster, "nothing")) as client:
        assert answers(client, lambda method, path, subresources: forbidden(OWNER + "nothing", method, subresources)) == []
        assert client.get("/pods").headers["content-type"] == "text/plain; charset=utf-8"
    assert len(reviewer.asked(TOKEN_REVIEW)) == 1
    asked = [(spec["resourceAttributes"].get("verb", ""), spec["resourceAttributes"]["subresource"])
             for spec in reviewer.asked(ACCESS_REVIEW)]
    wanted = {(VERBS.get(method, ""), subresource) for method, _, subresources in requests() for subresource in subresources}
    assert sorted(asked) == sorted(wanted), "each right is asked for once"


@pytest.mark.parametrize("right", SUBRESOURCES)
def test_a_right_opens_what_it_is_for_and_nothing_else(cluster, reviewer, inside, right):
    name = f"may-{right}"

    def wanted(method, path, subresources):
        return None if right in subresources else forbidden(OWNER + name, method, subresources)

    with node_client.NodeClient(inside, token=user(cluster, name, ("*", right))) as client:
        assert answers(client, wanted) == []
        for path, (subresources, codes) in ROUTES.items():
            if right not in subresources.split():
                continue
            for method in METHODS:
                answer = client.ask(method, path, body="x" if method == "PUT" else None)
                assert answer.status == codes.get(method, 405), (method, path, answer)
                if answer.status == 405:
                    assert answer.headers["allow"] == ", ".join(each for each in ("GET", "POST") if each in codes), path
                    assert answer.body == ("" if method == "HEAD" else "405: Method Not Allowed"), path
        for path, subresources in NO_ROUTES.items():
            if right in subresources.split():
                answer = client.get(path)
                assert (answer.status, answer.body) == (404, "404: Page Not Found"), path


@pytest.mark.parametrize("method", METHODS)
def test_a_right_is_to_one_verb(cluster, reviewer, inside, method):
    name, verb = f"only-{method.lower()}", VERBS.get(method, "")

    def wanted(asked, path, subresources):
        return None if VERBS.get(asked, "") == verb else forbidden(OWNER + name, asked, subresources)

    with node_client.NodeClient(inside, token=user(cluster, name, *[(verb, each) for each in SUBRESOURCES])) as client:
        assert answers(client, wanted) == []
        assert client.ask(method, "/healthz").status == 200


def test_the_finer_right_is_asked_for_first_and_proxy_only_without_it(cluster, reviewer, inside):
    for path, right in (("/pods", "pods"), ("/runningpods/", "pods"), ("/healthz", "healthz"), ("/configz", "configz")):
        for granted, wanted in ((right, [right]), ("proxy", [right, "proxy"])):
            reviewer.forget()
            with node_client.NodeClient(inside, token=fresh(cluster, ("get", granted))) as client:
                assert client.get(path).status == 200, (path, granted)
            assert [spec["resourceAttributes"]["subresource"] for spec in reviewer.asked(ACCESS_REVIEW)] == wanted, path


def test_a_certificate_tells_user_and_groups(cluster, reviewer, inside, tmp_path):
    path = node_client.issue(node_client.load_authority(cluster.plane.ca.parent), tmp_path / "jane.pem", "jane",
                             groups=["developers", "viewers"])
    reviewer.rights["jane"] = {("get", "stats")}
    with node_client.NodeClient(inside, certificate=path) as client:
        assert client.get("/stats/summary").status == 200
        answer = client.get("/metrics")
        assert (answer.status, answer.body) == forbidden("jane", "GET", ["metrics"])
    assert reviewer.asked(TOKEN_REVIEW) == []
    digest = x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex()
    specs = reviewer.asked(ACCESS_REVIEW)
    assert [spec["resourceAttributes"] for spec in specs] == [
        {"verb": "get", "version": "v1", "resource": "nodes", "subresource": each, "name": beds.NODE_NAME}
        for each in ("stats", "metrics")]
    for spec in specs:
        assert spec["user"] == "jane"
        assert spec["groups"] == ["developers", "viewers", "system:authenticated"]
        assert spec["extra"] == {"authentication.kubernetes.io/credential-id": [f"X509SHA256={digest}"]}


def test_a_token_tells_what_the_server_knows_of_it(cluster, reviewer, inside):
    token = fresh(cluster, ("get", "stats"))
    with node_client.NodeClient(inside, token=token) as client:
        assert client.get("/stats/summary").status == 200
    assert reviewer.asked(TOKEN_REVIEW) == [{"token": token}]
    (spec,) = reviewer.asked(ACCESS_REVIEW)
    assert spec["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    assert spec["uid"] and list(spec["extra"]) == ["authentication.kubernetes.io/credential-id"]


def hidden(token, *others):
    """A request to upgrade to a WebSocket, with the token among the subprotocols."""
    encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol": ", ".join([f"base64url.bearer.authorization.k8s.io.{encoded}", *others])}


def test_a_websocket_may_bring_its_token_among_the_subprotocols(cluster, reviewer, inside):
    token, path = fresh(cluster, ("get", "proxy")), "/exec/ns/none/c?command=id&output=1"
    with node_client.NodeClient(inside) as client:
        assert client.get(path, **hidden(token, "v4.channel.k8s.io")).status == 404, "no such pod"
        assert client.get(path, **hidden(token)).status == 401, "nothing is left to agree on"
        assert client.get(path, **hidden("wrong", "v4.channel.k8s.io")).status == 401
        fields = hidden(token, "v4.channel.k8s.io")
        assert client.get("/configz", **{"Sec-WebSocket-Protocol": fields["Sec-WebSocket-Protocol"]}).status == 401
        assert client.ask("POST", path, headers=fields).status == 403, "the right is to get"


def test_who_does_not_want_json_is_told_after_being_let_in(cluster, reviewer, inside):
    token = fresh(cluster, ("*", "proxy"), ("*", "stats"))
    with node_client.NodeClient(inside, token=token) as client, node_client.NodeClient(inside) as nobody:
        for path in ("/pods", "/runningpods/", "/stats/summary"):
            answer = client.get(path, Accept="text/html")
            assert (answer.status, answer.body) == (
                406, "406: Not Acceptable\n\nAvailable representations: application/json"), path
            assert client.get(path, Accept="text/html, */*;q=0.1").status == 200, path
            assert nobody.get(path, Accept="text/html").status == 401, path


# How often is asked

def test_requests_at_once_share_a_review_and_later_ones_need_none(cluster, reviewer, inside):
    token = fresh(cluster, ("get", "pods"))
    clients = [node_client.NodeClient(inside, token=token).connect() for _ in range(20)]
    try:
        with concurrent.futures.ThreadPoolExecutor(max_workers=20) as threads:
            assert {answer.status for answer in threads.map(lambda client: client.get("/pods"), clients)} == {200}
        for client in clients:
            assert client.get("/pods").status == 200
            assert client.connections_made == 1
    finally:
        for client in clients:
            client.close()
    assert (len(reviewer.asked(TOKEN_REVIEW)), len(reviewer.asked(ACCESS_REVIEW))) == (1, 1)


def test_answers_are_kept_for_their_time_only(cluster, reviewer, inside):
    authentication = {**cluster.node.config["authentication"], "webhook": {"enabled": True, "cacheTTL": "1s"}}
    authorization = {"mode": "Webhook", "webhook": {"cacheAuthorizedTTL": "1s", "cacheUnauthorizedTTL": "1s"}}
    token = fresh(cluster, ("get", "pods"))
    name = f"user-{len(cluster.tokens) - 1}"
    with cluster.other_agent(authentication=authentication, authorization=authorization) as node:
        node.start()
        with node_client.NodeClient(inside, token=token) as client:
            assert client.get("/pods").status == 200
            reviewer.rights[OWNER + name] = set()
            beds.wait_for("the right's end", lambda: client.get("/pods").status == 403, timeout=10)
            reviewer.rights[OWNER + name] = {("get", "pods")}
            beds.wait_for("the right's return", lambda: client.get("/pods").status == 200, timeout=10)
            cluster.delete("serviceaccounts", name)
            beds.wait_for("the token's end", lambda: client.get("/pods").status == 401, timeout=10)
    assert len(reviewer.asked(TOKEN_REVIEW)) > 1


# When the server fails

def failing(kind, status):
    return lambda asked: status if asked == kind else None


def test_while_reviews_fail_only_the_known_are_served(cluster, reviewer, inside):
    known, stranger, third = (fresh(cluster, ("get", "healthz"), ("get", "stats")) for _ in range(3))
    third_name = OWNER + f"user-{len(cluster.tokens) - 1}"
    with node_client.NodeClient(inside, token=known) as known_client, \
            node_client.NodeClient(inside, token=stranger) as stranger_client, \
            node_client.NodeClient(inside, token=third) as third_client:
        assert known_client.get("/healthz").status == 200
        assert third_client.get("/healthz").status == 200

        reviewer.failure = lambda kind: 503  # not tried again: it may be an answer of something in between
        answer = stranger_client.get("/healthz")
        assert (answer.status, answer.body) == (401, "Unauthorized")
        answer = third_client.get("/stats/summary")
        assert answer.status == 500
        assert answer.body == f"Authorization error (user={third_name}, verb=get, resource=nodes, subresource=stats)"
        assert known_client.get("/healthz").status == 200, "answers are kept"

        reviewer.failure = lambda kind: None
        assert stranger_client.get("/healthz").status == 200, "failures are not"
        assert third_client.get("/stats/summary").status == 200


def test_a_review_that_fails_in_passing_is_tried_again(cluster, reviewer, inside):
    failures = iter([500, 429, 504])
    reviewer.failure = lambda kind: next(failures, None)
    with node_client.NodeClient(inside, token=fresh(cluster, ("get", "pods"))) as client:
        assert client.get("/pods").status == 200
    assert (len(reviewer.asked(TOKEN_REVIEW)), len(reviewer.asked(ACCESS_REVIEW))) == (4, 1)


def test_a_review_is_tried_no_more_than_five_times(cluster, reviewer, inside):
    reviewer.failure = lambda kind: 500
    with node_client.NodeClient(inside, token=fresh(cluster)) as client:
        answer = client.get("/pods")
    assert (answer.status, answer.body) == (401, "Unauthorized")
    assert len(reviewer.asked(TOKEN_REVIEW)) == 5


def test_without_the_server_only_the_known_are_served(cluster, reviewer, inside):
    known, stranger = fresh(cluster, ("get", "healthz")), fresh(cluster, ("get", "healthz"), ("get", "stats"))
    with node_client.NodeClient(inside, token=known) as known_client, \
            node_client.NodeClient(inside, token=stranger) as client, node_client.NodeClient(inside) as nobody:
        assert known_client.get("/healthz").status == 200
        cluster.plane.stop()
        try:
            assert client.get("/healthz").status == 401  # the reviewer's upstream ends: its connections break
            assert known_client.get("/healthz").status == 200
            assert nobody.get("/healthz").status == 401
        finally:
            cluster.plane.start()
        assert client.get("/healthz").status == 200
        assert client.get("/stats/summary").status == 200
    cluster.wait_ready()


# Who is let in without being asked

def test_with_anonymous_allowed_nobody_is_a_user(cluster, reviewer, inside, tmp_path):
    reviewer.rights["system:anonymous"] = {("get", "healthz")}
    authentication = {**cluster.node.config["authentication"], "anonymous": {"enabled": True}}
    certificates = bad_certificates(cluster, tmp_path)
    with cluster.other_agent(authentication=authentication) as node:
        node.start()
        with node_client.NodeClient(inside) as client:
            assert client.get("/healthz").status == 200
            assert answers(client, lambda method, path, subresources: None if (method, "healthz") == ("GET", subresources[0])
                           else forbidden("system:anonymous", method, subresources)) == []
        with node_client.NodeClient(inside, token="wrong") as client:
            assert client.get("/healthz").status == 401, "a wrong token is nobody's"
        for kind, path in certificates.items():
            with node_client.NodeClient(inside, certificate=path) as client:
                assert client.get("/healthz").status == (200 if kind == "of nobody" else 401), kind
    assert {(spec["user"], *spec["groups"]) for spec in reviewer.asked(ACCESS_REVIEW)} == {
        ("system:anonymous", "system:unauthenticated")}


def test_with_always_allow_whoever_is_known_may_everything(cluster, reviewer, inside):
    with cluster.other_agent(authorization={"mode": "AlwaysAllow"}) as node:
        node.start()
        with node_client.NodeClient(inside) as client:
            assert answers(client, lambda method, *_: unauthorized(method)) == []
        with node_client.NodeClient(inside, token=user(cluster, "nothing")) as client:
            for path, (_, codes) in ROUTES.items():
                for method in METHODS:
                    answer = client.ask(method, path, body="x" if method == "PUT" else None)
                    assert answer.status == codes.get(method, 405), (method, path, answer)
    assert reviewer.asked(ACCESS_REVIEW) == []


def test_without_token_reviews_only_certificates_are_known(cluster, reviewer, inside, tmp_path):
    path = node_client.issue(node_client.load_authority(cluster.plane.ca.parent), tmp_path / "jane.pem", "jane")
    authentication = {**cluster.node.config["authentication"], "webhook": {"enabled": False}}
    reviewer.rights["jane"] = {("get", "pods")}
    with cluster.other_agent(authentication=authentication) as node:
        node.start()
        with node_client.NodeClient(inside, token=user(cluster, "everything")) as client:
            assert client.get("/pods").status == 401
        with node_client.NodeClient(inside, certificate=path) as client:
            assert client.get("/pods").status == 200
    assert reviewer.asked(TOKEN_REVIEW) == []


def test_without_debugging_handlers_their_paths_say_so_to_who_may_ask(cluster, reviewer, inside):
    off = ["/run/", "/run/a", "/exec/ns/p/c", "/attach/ns/p/c", "/portForward/ns/p", "/containerLogs/ns/p/c", "/runningpods/",
           "/debug/pprof/", "/logs/"]
    gone = ["/debug/flags/v", "/configz", "/checkpoint/ns/p/c", "/flagz", "/statusz", "/runs", "/debug"]
    token = user(cluster, "everything", *[("*", each) for each in SUBRESOURCES])
    with cluster.other_agent(enableDebuggingHandlers=False, readOnlyPort=10255) as node:
        node.start()
        clients = [node_client.NodeClient(inside, token=token),
                   node_client.NodeClient(inside, port=10255, is_tls=False)]
        with clients[0], clients[1], node_client.NodeClient(inside) as nobody:
            for client in clients:
                for path in off:
                    for method in METHODS:
                        answer = client.ask(method, path)
                        assert (answer.status, answer.body) == (
                            405, "" if method == "HEAD" else "Debug endpoints are disabled.\n"), (method, path)
                for path in gone:
                    answer = client.get(path)
                    assert (answer.status, answer.body) == (404, "404 page not found\n"), path
                for path in ("/healthz", "/pods", "/stats/summary", "/metrics", "/metrics/cadvisor", "/metrics/resource",
                             "/metrics/probes", "/metrics/slis"):
                    assert client.get(path).status == 200, path
            for path in off:
                assert nobody.get(path).status == 401, path
