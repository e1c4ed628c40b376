"""moto, one request at a time.

`moto_server` has a thread for each connection, and its DynamoDB no lock: when a transaction fails, moto puts back a
copy of the whole table, and loses what others wrote meanwhile. DynamoDB loses nothing that it has answered.
"""

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

run_simple("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
