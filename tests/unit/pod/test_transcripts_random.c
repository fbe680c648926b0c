/*
 * Pods made at random live their lives on virtual time while the rules of pod_rules.h are watched.
 *
 *     CUBELET_POD_SEED=17 build-test/tests/unit/test_pod_transcripts_random
 *
 * replays the pod of one seed alone and prints all that happens to it; CUBELET_POD_COUNT=100000
 * takes more of them.
 */
#include "base/num.h"
#include "tests/lib/test.h"
#include "tests/unit/pod/random_pod.h"

#include <stdio.h>
#include <stdlib.h>

#define PODS 1000

/* What the lives must have in them, or they would prove little: a text of the transcripts, and how
 * often it has to be there per thousand pods. */
struct sight {
    const char *text;
    size_t per_thousand;
    size_t seen;
};

static int64_t number_from(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    int64_t number = otherwise;
    if (text && !parse_i64(text, 1, UINT32_MAX, &number))
        fail_msg("%s is not a number: %s", name, text);
    return number;
}

static void count_sights(const char *transcript, struct sight *sights, size_t n_sights)
{
    for (size_t i = 0; i < n_sights; i++) {
        for (const char *at = transcript; (at = strstr(at, sights[i].text)); at++)
            sights[i].seen++;
    }
}

static void live(uint32_t seed, bool is_told, struct sight *sights, size_t n_sights)
{
    struct random_pod pod;
    random_pod_init(&pod, seed);
    random_pod_live(&pod);
    const char *broken = pod.node.broken;
    if (broken || is_told)
        fprintf(stderr, "%s\n%s\n", buf_text(&pod.yaml), buf_text(&pod.node.transcript));
    count_sights(buf_text(&pod.node.transcript), sights, n_sights);
    random_pod_done(&pod);
    if (broken)
        fail_msg("%s: CUBELET_POD_SEED=%u", broken, seed);
}

TEST_CASE(whatever_befalls_a_pod_the_rules_hold_and_it_comes_to_its_end)
{
    struct sight sights[] = {
        {"CrashLoopBackOff", 1000, 0},
        {"(restarts 6)", 300, 0},
        {"does not start: ErrImagePull", 100, 0},
        {"does not start: RunContainerError", 100, 0},
        {"cannot be killed", 20, 0},
        {"cannot be created", 10, 0},
        {"cannot be stopped", 10, 0},
        {"the state of ", 20, 0},
        {"OOMKilled", 100, 0},
        {"the sandbox is lost\n", 100, 0},
        {"the sandbox is lost with its containers", 100, 0},
        {"the agent is restarted", 500, 0},
        {"the pod is deleted again", 20, 0},
        {"the manifest is removed", 100, 0},
        {"= Failed Evicted", 20, 0},
        {"definition changed", 20, 0},
        {"vanishes", 20, 0},
        {"failed liveness probe", 50, 0},
        {"failed startup probe", 50, 0},
        {"= Failed DeadlineExceeded", 20, 0},
        {"= Failed [", 50, 0},
        {"= Succeeded", 50, 0},
        {"exits 137", 100, 0},
        {"StartContainer e0", 100, 0},
    };
    int64_t seed = number_from("CUBELET_POD_SEED", 0);
    if (seed > 0) {
        live((uint32_t)seed, true, sights, ARRAY_SIZE(sights));
        return;
    }
    int64_t count = number_from("CUBELET_POD_COUNT", PODS);
    for (uint32_t i = 1; i <= count; i++)
        live(i, false, sights, ARRAY_SIZE(sights));
    for (size_t i = 0; i < ARRAY_SIZE(sights) && count >= PODS; i++) {
        size_t least = sights[i].per_thousand * (size_t)count / 1000;
        if (sights[i].seen < least)
            fail_msg("only %zu times in %lld lives: \"%s\"", sights[i].seen, (long long)count,
                     sights[i].text);
    }
}

TEST_MAIN(TEST(whatever_befalls_a_pod_the_rules_hold_and_it_comes_to_its_end))
