"""The entry point for WSGI servers: `itemsapi.wsgi:application`."""

from itemsapi.app import create_app

application = create_app()
