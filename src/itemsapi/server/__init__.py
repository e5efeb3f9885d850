"""The server: what stands between the sockets and the application.

granian speaks HTTP (hyper, in Rust) and hands each request over as ASGI; the application is WSGI.
The bridge between them is ours, because nothing else that was measured keeps a client that stalls
from holding a thread (ADR 7):

    supervisor    starts the workers, and starts another one for each that dies
    listening     the socket that all workers share
    worker        what runs in a worker process
    bridge        ASGI on one side, WSGI on the other
    exchange      one request: its body, its turn, its answer
    bodies        bodies as they come, under a deadline and a budget
    pool          threads for the application, and who is given one next
    turns           whose request is next
    threads         the few threads that run the application
    answers       answers on their way, under a deadline and a budget
    environ       the request in the words of WSGI
"""
