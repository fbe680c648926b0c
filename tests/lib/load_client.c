/*
 * Many requests for one path of a node's HTTPS server, over connections that are kept; every answer
 * must be a 200 whose body is JSON (parsed whenever it differs from the one before). A thread a
 * connection, blocking. tools/bench-load uses it.
 *
 * usage: load_client ADDRESS PORT PATH CONNECTIONS RATE SECONDS CERTIFICATE
 *
 * RATE is requests a second over all connections; 0: each as soon as it can. CERTIFICATE is a file
 * with the client's certificate and its key. Prints one JSON object: requests, failures, seconds,
 * bytes, the latency's median_ms, p99_ms and max_ms.
 */
#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SEC 1000000000LL
#define HEAD_MAX 4096
#define BODY_MAX (64UL << 20)
#define CONNECTIONS_MAX 256
#define SAMPLES_MAX (1UL << 20) /* of each connection; more are counted, not timed */

struct load {
    struct sockaddr_in address;
    SSL_CTX *context;
    char request[512];
    int64_t start_ns, end_ns, interval_ns; /* of one connection */
};

struct client {
    const struct load *load;
    size_t number, count;
    pthread_t thread;
    int64_t *samples_ns;
    size_t samples, requests, failures;
    uint64_t bytes;
    char *body, *last; /* BODY_MAX each; touched only as far as needed */
    size_t last_len;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "load_client: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(2);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

static void sleep_until(int64_t at_ns)
{
    const struct timespec at = {.tv_sec = at_ns / NS_PER_SEC, .tv_nsec = at_ns % NS_PER_SEC};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static SSL *connect_tls(const struct load *load)
{
    static const int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&load->address, sizeof(load->address)) < 0)
        die("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    SSL *ssl = SSL_new(load->context);
    if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
        die("no handshake");
    return ssl;
}

/* Reads a head and what of the body comes with it; returns the body's length, or -1. */
static int64_t read_head(SSL *ssl, char *head, size_t *ret_len, size_t *ret_rest)
{
    size_t len = 0;
    for (;;) {
        int got = SSL_read(ssl, head + len, (int)(HEAD_MAX - 1 - len));
        if (got <= 0)
            return -1;
        len += (size_t)got;
        head[len] = '\0';
        const char *end = strstr(head, "\r\n\r\n");
        if (!end && len == HEAD_MAX - 1)
            return -1;
        if (!end)
            continue;
        const char *length = strcasestr(head, "\r\ncontent-length: ");
        if (strncmp(head, "HTTP/1.1 200 ", 13) != 0 || !length || length > end)
            return -1;
        *ret_len = len;
        *ret_rest = (size_t)(end + 4 - head);
        return strtoll(length + 18, NULL, 10);
    }
}

static bool is_json(struct client *client, size_t len)
{
    if (len == client->last_len && memcmp(client->body, client->last, len) == 0)
        return true;
    json_t *value = json_loadb(client->body, len, 0, NULL);
    bool is_good = value != NULL;
    json_decref(value);
    memcpy(client->last, client->body, len);
    client->last_len = len;
    return is_good;
}

static bool ask(struct client *client, SSL *ssl)
{
    char head[HEAD_MAX];
    size_t len = 0, rest = 0;
    const char *request = client->load->request;
    if (SSL_write(ssl, request, (int)strlen(request)) <= 0)
        return false;
    int64_t body_len = read_head(ssl, head, &len, &rest);
    if (body_len < 0 || (uint64_t)body_len > BODY_MAX || len - rest > (size_t)body_len)
        return false;
    size_t have = len - rest;
    memcpy(client->body, head + rest, have);
    while (have < (size_t)body_len) {
        int got = SSL_read(ssl, client->body + have, (int)((size_t)body_len - have));
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    client->bytes += have;
    return is_json(client, have);
}

static void *run(void *ctx)
{
    struct client *client = ctx;
    const struct load *load = client->load;
    SSL *ssl = connect_tls(load);
    int64_t step_ns = load->interval_ns;
    int64_t due_ns = load->start_ns + (int64_t)client->number * step_ns / (int64_t)client->count;
    for (;;) {
        sleep_until(due_ns);
        int64_t sent_ns = now_ns();
        if (sent_ns >= load->end_ns)
            break;
        bool is_good = ask(client, ssl);
        client->requests++;
        client->failures += !is_good;
        if (!is_good)
            break; /* what follows on this connection means nothing */
        if (client->samples < SAMPLES_MAX)
            client->samples_ns[client->samples++] = now_ns() - sent_ns;
        due_ns += step_ns;
    }
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void report(struct client *clients, size_t count, double seconds)
{
    struct client sum = {0};
    for (size_t i = 0; i < count; i++)
        sum.samples += clients[i].samples;
    int64_t *all = calloc(sum.samples + 1, sizeof(*all));
    if (!all)
        die("out of memory");
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(all + at, clients[i].samples_ns, clients[i].samples * sizeof(*all));
        at += clients[i].samples;
        sum.requests += clients[i].requests;
        sum.failures += clients[i].failures;
        sum.bytes += clients[i].bytes;
    }
    qsort(all, at, sizeof(*all), compare);
    printf("{\"requests\": %zu, \"failures\": %zu, \"seconds\": %.3f, \"bytes\": %llu, "
           "\"median_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
           sum.requests, sum.failures, seconds, (unsigned long long)sum.bytes,
           (double)all[at / 2] / 1e6, (double)all[at * 99 / 100] / 1e6,
           at ? (double)all[at - 1] / 1e6 : 0.0);
    free(all);
}

static SSL_CTX *make_context(const char *certificate)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, certificate, SSL_FILETYPE_PEM) != 1)
        die("the certificate is of no use");
    return context;
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "usage: load_client ADDRESS PORT PATH CONNECTIONS RATE SECONDS CERT\n");
        return 2;
    }
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    size_t count = strtoul(argv[4], NULL, 10);
    int64_t rate = strtoll(argv[5], NULL, 10);
    if (count == 0 || count > CONNECTIONS_MAX)
        die("1 to 256 connections");
    struct load load = {
        .address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))},
        .context = make_context(argv[7]),
        .interval_ns = rate ? NS_PER_SEC * (int64_t)count / rate : 0};
    if (inet_pton(AF_INET, argv[1], &load.address.sin_addr) != 1)
        die("no address");
    snprintf(load.request, sizeof(load.request), "GET %s HTTP/1.1\r\nHost: node\r\n\r\n", argv[3]);
    static struct client clients[CONNECTIONS_MAX];
    load.start_ns = now_ns() + NS_PER_SEC / 10; /* after the handshakes */
    load.end_ns = load.start_ns + (int64_t)(strtod(argv[6], NULL) * 1e9);
    for (size_t i = 0; i < count; i++) {
        clients[i] = (struct client){.load = &load,
                                     .number = i,
                                     .count = count,
                                     .samples_ns = calloc(SAMPLES_MAX, sizeof(int64_t)),
                                     .body = malloc(BODY_MAX),
                                     .last = malloc(BODY_MAX)};
        if (!clients[i].samples_ns || !clients[i].body || !clients[i].last ||
            pthread_create(&clients[i].thread, NULL, run, &clients[i]) != 0)
            die("out of memory");
    }
    size_t failures = 0;
    for (size_t i = 0; i < count; i++) {
        pthread_join(clients[i].thread, NULL);
        failures += clients[i].failures;
    }
    report(clients, count, (double)(now_ns() - load.start_ns) / 1e9);
    return failures ? 1 : 0;
}
