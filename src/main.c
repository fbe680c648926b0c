/*
 * cubelet: with a client word (pods, status, logs, …) a thin client of the agent on this machine,
 * else the agent. Exit codes: 0 all is well, 1 it could not start or the command failed, 2 it was
 * called in a wrong way; exec and attach end with the code of what they ran.
 */
#include "agent.h"
#include "base/log.h"
#include "cli/cli.h"
#include "wire/crypto.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>

/* One arena and early give-back: four short-lived threads are no reason to keep four heaps. */
#define HEAP_TRIM_BYTES (128 * 1024)
#define HEAP_MMAP_BYTES (64 * 1024)

static void tune_heap(void)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): there is only one thread yet */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, HEAP_TRIM_BYTES);
    mallopt(M_MMAP_THRESHOLD, HEAP_MMAP_BYTES);
    /* NOLINTEND(concurrency-mt-unsafe) */
}

static void say_start(const struct config *config)
{
    for (size_t i = 0; i < config->deprecated.count; i++)
        fprintf(stderr, "%s\n", config->deprecated.items[i]);
    for (size_t i = 0; i < config->flag_values.count; i++)
        log_v(1, "FLAG", LOG_STR("flag", config->flag_values.items[i]));
    for (size_t i = 0; i < config->warnings.count; i++)
        log_warning("Configuration", LOG_STR("warning", config->warnings.items[i]));
    for (size_t i = 0; i < config->inert_count; i++)
        log_warning("This setting is accepted but has no effect yet",
                    LOG_STR("name", config->inert[i].name),
                    LOG_STR("source", config->inert[i].source));
}

static int run_agent(const struct config *config)
{
    log_set_verbosity(config->log_verbosity);
    say_start(config);
    AUTO(error) struct error *err = agent_run(config);
    if (!err)
        return 0;
    log_error("cubelet could not start", LOG_ERR(err));
    fprintf(stderr, "cubelet: %s\n", err->message);
    return 1;
}

int main(int argc, char **argv)
{
    const char *const *arguments = (const char *const *)argv;
    if (sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL) < 0)
        return 1;
    if (argc > 1 && cli_is_command(argv[1]))
        return cli_run(argc, arguments);
    tune_heap();
    crypto_init();

    struct config_result result = {0};
    AUTO(error) struct error *err = config_load(argc, arguments, &result);
    if (err) {
        fprintf(stderr, "cubelet: %s\n", err->message);
        return 1;
    }
    switch (result.outcome) {
    case CONFIG_HELP:
        config_print_help(stdout);
        return 0;
    case CONFIG_VERSION_TEXT:
        printf("%s\n", result.version_text);
        free(result.version_text);
        return 0;
    case CONFIG_RUN:
        break;
    }
    int code = run_agent(result.config);
    config_free(result.config);
    return code;
}
