/*
 * The first process of a sandbox, and of a test bed's own process namespace: it does nothing but
 * reap what is orphaned to it, until it is asked to end. Static and small: it is an image's whole
 * content.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

int main(void)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    /* Process 1 gets only the signals that it handles or blocks; all three are taken synchronously.
     */
    if (sigprocmask(SIG_BLOCK, &wanted, NULL) != 0)
        return EXIT_FAILURE;
    for (;;) {
        int received = sigwaitinfo(&wanted, NULL);
        if (received < 0 && errno != EINTR)
            return EXIT_FAILURE;
        if (received == SIGINT || received == SIGTERM)
            return EXIT_SUCCESS;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue; /* reaped */
    }
}
