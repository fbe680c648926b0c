#include "kube/jitter.h"

#include <sys/random.h>

/* Early in a boot the kernel may have nothing yet: then nothing is jittered, which is no harm. */
#define NO_RANDOM UINT64_C(0)

uint64_t jitter_draw(void)
{
    uint64_t random = NO_RANDOM;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        random = NO_RANDOM;
    return random;
}
