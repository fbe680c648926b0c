/*
 * nodeplane: the Kubernetes API for one node, over SQLite. Exit codes: 0 it was told to end, 1 it
 * could not start, 2 it was called in a wrong way.
 */
#include "base/log.h"
#include "loop/signal.h"
#include "loop/watchdog.h"
#include "plane/plane.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define WORKER_THREADS 2
#define STOP_LIMIT_NS (2 * NS_PER_SEC)
#define STOP_TURN_NS (50 * NS_PER_MS)
#define WATCHDOG_LIMIT_NS (120 * NS_PER_SEC)
#define EXTRA_NAMES_MAX 32
/* One heap and early give-back, as in the agent. */
#define HEAP_TRIM_BYTES (128 * 1024)
#define HEAP_MMAP_BYTES (64 * 1024)

static const char usage[] =
    "nodeplane is the Kubernetes API for one node.\n"
    "\n"
    "usage: nodeplane --data-dir DIR [options]\n"
    "\n"
    "  --data-dir DIR            certificates, keys, kubeconfigs and objects (made when missing)\n"
    "  --listen ADDRESS          where to serve (default 127.0.0.1:6443; \":6443\" is everywhere)\n"
    "  --advertise URL           what kubeconfigs point to (default: the address listened at)\n"
    "  --node-name NAME          the node that pods are assigned to (default: the host name)\n"
    "  --service-cluster-ip-range RANGE[,RANGE]\n"
    "                            addresses of services (default 10.96.0.0/12)\n"
    "  --tls-san NAME            a further name of the server's certificate; may be repeated\n"
    "  --tls-cert-file FILE      serve with this certificate instead of one of nodeplane's own\n"
    "  --tls-private-key-file FILE\n"
    "  --token-auth-file FILE    static tokens: token,user,uid,\"group1,group2\"\n"
    "  --unsafe-no-fsync         leave syncing to the kernel: a power cut may lose what was "
    "answered\n"
    "  -v LEVEL                  verbosity of the log (default 0)\n"
    "  --version\n"
    "  --help\n"
    "\n"
    "kubectl: export KUBECONFIG=DIR/admin.kubeconfig\n";

enum option_key {
    KEY_DATA_DIR = 256,
    KEY_LISTEN,
    KEY_ADVERTISE,
    KEY_NODE_NAME,
    KEY_SERVICE_RANGE,
    KEY_SAN,
    KEY_CERT,
    KEY_KEY,
    KEY_TOKENS,
    KEY_NO_FSYNC,
    KEY_VERSION,
    KEY_HELP,
};

static const struct option long_options[] = {
    {"data-dir", required_argument, NULL, KEY_DATA_DIR},
    {"listen", required_argument, NULL, KEY_LISTEN},
    {"advertise", required_argument, NULL, KEY_ADVERTISE},
    {"node-name", required_argument, NULL, KEY_NODE_NAME},
    {"service-cluster-ip-range", required_argument, NULL, KEY_SERVICE_RANGE},
    {"tls-san", required_argument, NULL, KEY_SAN},
    {"tls-cert-file", required_argument, NULL, KEY_CERT},
    {"tls-private-key-file", required_argument, NULL, KEY_KEY},
    {"token-auth-file", required_argument, NULL, KEY_TOKENS},
    {"unsafe-no-fsync", no_argument, NULL, KEY_NO_FSYNC},
    {"version", no_argument, NULL, KEY_VERSION},
    {"help", no_argument, NULL, KEY_HELP},
    {NULL, 0, NULL, 0},
};

struct command_line {
    struct plane_options plane;
    const char *extra_names[EXTRA_NAMES_MAX];
    int64_t verbosity;
    bool shows_help;
    bool shows_version;
};

/* The host's name as the kubelet makes a node's of it, in lower case; "" when it has none. */
static void default_node_name(char *name, size_t size)
{
    if (gethostname(name, size - 1) < 0)
        name[0] = '\0';
    name[size - 1] = '\0';
    for (char *c = name; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
}

static bool add_name(struct command_line *line, const char *name)
{
    if (line->plane.extra_name_count == EXTRA_NAMES_MAX) {
        (void)fprintf(stderr, "nodeplane: more than %d --tls-san\n", EXTRA_NAMES_MAX);
        return false;
    }
    line->extra_names[line->plane.extra_name_count++] = name;
    return true;
}

static bool take_option(struct command_line *line, int key, const char *value)
{
    switch (key) {
    case KEY_DATA_DIR:
        line->plane.data_dir = value;
        return true;
    case KEY_LISTEN:
        line->plane.listen = value;
        return true;
    case KEY_ADVERTISE:
        line->plane.advertise = value;
        return true;
    case KEY_NODE_NAME:
        line->plane.node_name = value;
        return true;
    case KEY_SERVICE_RANGE:
        line->plane.service_range = value;
        return true;
    case KEY_SAN:
        return add_name(line, value);
    case KEY_CERT:
        line->plane.cert_file = value;
        return true;
    case KEY_KEY:
        line->plane.key_file = value;
        return true;
    case KEY_TOKENS:
        line->plane.token_file = value;
        return true;
    case KEY_NO_FSYNC:
        line->plane.is_unsynced = true;
        return true;
    case 'v':
        if (parse_i64(value, 0, 10, &line->verbosity))
            return true;
        (void)fprintf(stderr, "nodeplane: -v %s: expected a number from 0 to 10\n", value);
        return false;
    case KEY_VERSION:
        line->shows_version = true;
        return true;
    case KEY_HELP:
        line->shows_help = true;
        return true;
    default: /* getopt_long() has said what is wrong */
        return false;
    }
}

static bool read_command_line(int argc, char **argv, struct command_line *line)
{
    int key;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is only one thread yet */
    while ((key = getopt_long(argc, argv, "v:", long_options, NULL)) != -1) {
        if (!take_option(line, key, optarg))
            return false;
    }
    if (line->shows_help || line->shows_version)
        return true;
    if (optind < argc) {
        (void)fprintf(stderr, "nodeplane: unknown argument %s\n", argv[optind]);
        return false;
    }
    if (!line->plane.data_dir) {
        (void)fprintf(stderr, "nodeplane: --data-dir is missing\n");
        return false;
    }
    if (!line->plane.cert_file != !line->plane.key_file) {
        (void)fprintf(stderr,
                      "nodeplane: --tls-cert-file and --tls-private-key-file go together\n");
        return false;
    }
    return true;
}

static void on_signal(void *ctx, int signal_number)
{
    log_info("Ending", LOG_INT("signal", signal_number));
    loop_stop(ctx);
}

/* Lets the requests under way have their answers. */
static void wind_down(struct loop *loop, struct plane *plane)
{
    plane_stop(plane);
    int64_t limit_ns = sat_add_i64(loop_now_mono_ns(loop), STOP_LIMIT_NS);
    while (!plane_is_idle(plane) && loop_now_mono_ns(loop) < limit_ns)
        loop_turn(loop, STOP_TURN_NS);
    loop_turn(loop, 0);
}

static struct error *run(const struct command_line *line)
{
    static const int stop_signals[] = {SIGTERM, SIGINT, 0};
    AUTO(loop) struct loop *loop = NULL;
    struct loop_signals *signals = NULL;
    struct error *err = loop_new(&loop);
    if (!err)
        err = loop_signals_new(loop, stop_signals, on_signal, loop, &signals);
    if (err)
        return err;
    struct work_pool *pool = work_pool_new(loop, WORKER_THREADS);
    struct plane *plane = NULL;
    err = plane_start_blocking(loop, pool, &line->plane, &plane);
    if (!err) {
        struct watchdog *watchdog = watchdog_new(loop, WATCHDOG_LIMIT_NS);
        loop_run(loop);
        wind_down(loop, plane);
        watchdog_free(watchdog);
    }
    work_pool_free(pool, STOP_LIMIT_NS);
    plane_free(plane);
    loop_signals_free(signals);
    return err;
}

int main(int argc, char **argv)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): there is only one thread yet */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, HEAP_TRIM_BYTES);
    mallopt(M_MMAP_THRESHOLD, HEAP_MMAP_BYTES);
    /* NOLINTEND(concurrency-mt-unsafe) */
    if (sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL) < 0)
        return 1;
    char host_name[256] = "";
    struct command_line line = {
        .plane = {.listen = "127.0.0.1:6443", .service_range = "10.96.0.0/12"}};
    line.plane.extra_names = line.extra_names;
    if (!read_command_line(argc, argv, &line)) {
        (void)fprintf(stderr, "Try nodeplane --help\n");
        return 2;
    }
    if (line.shows_help || line.shows_version) {
        (void)fputs(line.shows_help ? usage : "nodeplane v1.36.2+cubelet." CUBELET_VERSION "\n",
                    stdout);
        return 0;
    }
    default_node_name(host_name, sizeof(host_name));
    if (!line.plane.node_name)
        line.plane.node_name = host_name;
    log_set_verbosity((int)line.verbosity);
    AUTO(error) struct error *err = run(&line);
    if (!err)
        return 0;
    (void)fprintf(stderr, "nodeplane: %s\n", err->message);
    return 1;
}
