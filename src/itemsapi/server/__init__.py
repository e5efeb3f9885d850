"""The server: everything between the sockets and the application.

granian speaks HTTP (hyper, in Rust) and passes each request on as ASGI; the application is WSGI.
The bridge between them is our own, because no other measured server keeps a stalled client from
occupying a thread (ADR 7):

    supervisor      starts the workers, and replaces each one that dies
    listening       the socket that all workers share
    metrics_folder  the folder in which the workers count together
    worker          what runs in a worker process
    bridge          ASGI on one side, WSGI on the other
    exchange        one request and its response
    bodies          request bodies, received under a deadline and a budget
    pool            threads for the application, scheduled fairly between clients
    fair_queue      decides which job is next
    responses       responses, sent under a deadline and a budget
    refusals        who comes back too early waits for its next refusal
    environ         translates an ASGI scope into a WSGI environment
"""
