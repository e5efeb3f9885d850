"""What a WSGI server is pointed at: `itemsapi.wsgi:application`."""

from itemsapi.app import create_app

application = create_app()
